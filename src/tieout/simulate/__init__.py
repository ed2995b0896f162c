"""A simulated revenue world with planted faults and their truth. Outside the floors; imports downwards only.

month       simulate_month: one month of a software company in the files its systems would deliver
benchmark   simulate_benchmark: invoices and payments by the million, with their truth
world       what both hand back
plain_books a second opinion on a month, in plain Python, for tests
"""
