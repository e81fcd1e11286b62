"""`overt evaluate`: measures what a model pack does on labelled pictures and clips, and signs what came out."""
