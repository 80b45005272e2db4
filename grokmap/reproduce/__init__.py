"""Published results against ours."""
