"""What agents carry inside: recurrences, encoders, models and bonuses, one file each."""
