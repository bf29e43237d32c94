"""One module per rule of scheduling; `table` lists them all."""
