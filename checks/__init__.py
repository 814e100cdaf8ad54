"""One rule a module: evidence in, finding out."""
