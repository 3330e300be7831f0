"""A model-serving kiosk for cell images."""
