"""What the doctor looks at: the machine, the project, and a network."""
