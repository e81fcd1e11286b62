"""The messages, topics and deployment orders that all services of Overt share."""
