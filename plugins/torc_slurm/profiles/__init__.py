"""What is known about clusters: their partitions, how one knows where one is, and what an hour costs there."""
