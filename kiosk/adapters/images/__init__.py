"""Readers of image files, one file or family of files per format; `image_files` chooses."""
