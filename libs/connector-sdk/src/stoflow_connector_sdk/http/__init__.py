"""HTTP towards a marketplace, fenced by the task's lease."""
