"""What is said: the events that come in and the value of every topic and key that goes out."""
