"""The project's figures: measured, compared with a baseline, shown."""
