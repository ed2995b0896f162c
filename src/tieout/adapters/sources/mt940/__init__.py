"""MT940 and MT942: SWIFT bank statements in the dialects of real banks."""
