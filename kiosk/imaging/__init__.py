"""Pure image functions: arrays in, arrays out, no files and no network."""
