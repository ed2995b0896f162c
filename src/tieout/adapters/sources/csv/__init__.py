"""CSV in any dialect: encoding, framing, and one query that the engine runs."""
