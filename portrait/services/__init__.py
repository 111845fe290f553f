"""What the commands do, one module a group of commands; each is imported when its command runs."""
