"""Because a unit was written: rings its bell, or pays it, opens what needs it and wakes the execution."""
