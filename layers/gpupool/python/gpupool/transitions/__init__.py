"""Changes over several tables that must happen together or not at all."""
