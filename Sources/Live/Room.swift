// Room opens with its first file.
