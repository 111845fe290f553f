"""What a fit decides by: weights, schedules, thresholds, confidence; data, no code that acts."""
