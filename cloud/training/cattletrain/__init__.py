"""Training of the cattle detector: data, model, training, export and fine-tuning."""
