"""What units leave behind: checkpoints, models, metrics and logs."""
