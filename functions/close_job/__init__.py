"""The execution's last step: Finish, or Compensate."""
