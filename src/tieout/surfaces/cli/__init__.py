"""The command line: parse words, call service functions, render what they gave. One module a command or group.

main        the table of commands and `main()`; imports a command's module only when that command is asked for
invocation  the global options as data; session: opening the configuration and the workspace they name
output      consoles, the one JSON document, progress; failures: errors as people and programs read them
commands    one module for each command; render: figures, tables and sentences, from what services gave
"""
