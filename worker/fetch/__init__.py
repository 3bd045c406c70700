"""The guarded way out: every request this project makes to another host."""
