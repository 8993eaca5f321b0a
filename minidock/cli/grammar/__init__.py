"""The grammar of docker's command line: pflag's flags, cobra's argument counts and help.

docker parses with Go's pflag. Its grammar has no twin in Python's parsers: ``--tty=false``, ``-itu root``, ``-m=64m``, options
that stop at the image's name, and error words that scripts and teachers know by heart. So `flags` is that grammar, `values`
the types it knows, `quote` how Go quotes, `help` its layout of help texts, and `command` the cobra part around them. The words
were compared with the installed docker's, call by call (``tests/unit/cli/test_like_docker.py``). It also starts fast: importing
click takes 37 ms, which is more than creating, running and removing a container.
"""
