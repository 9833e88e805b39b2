"""What is compared: each runs its worker in a process of its own, and is driven from this one."""
