"""Ready reconciliations, one folder a use case: configuration, sample, expected result."""
