"""All input and output: file formats, the engine, parts on disk, the control database. Blind to core."""
