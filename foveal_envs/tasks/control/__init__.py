"""Tasks of control: keep a body where it should be."""
