"""Images are read in processes of their own, which may die: nobody trusts the bytes of a file.

decoding_files   `ports.ImageFiles` and the images that it opens; in the server and the consumer
zygote           a process with the libraries loaded; forks one reader for each image in a ms
reader           what a forked process does: opens one image, answers for its planes
confinement      what a reader may take from the machine
wire             messages between the three; pixels travel in memory that both sides see
"""
