"""What makes a deployment lawful: orders, keys, watchlists and enrolment."""
