"""Folds matches into alerts, shows them in the control room and collects two people's judgements."""
