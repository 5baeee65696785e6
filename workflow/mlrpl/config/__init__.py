"""What is asked: configuration files, their validation, options, the plan."""
