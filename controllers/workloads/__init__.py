"""What the controllers of pods share: judging pods, claiming them, making them from templates, keeping revisions."""
