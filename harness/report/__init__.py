"""One result model and its renderers."""
