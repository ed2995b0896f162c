"""A simulated revenue world with planted faults and their truth. Outside the floors; imports downwards only."""
