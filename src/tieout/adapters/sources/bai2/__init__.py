"""BAI2 with its control totals."""
