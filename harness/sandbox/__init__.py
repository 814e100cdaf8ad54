"""What a submission's process can see and do, by what mechanism, and what this machine cannot hold.

mechanisms.py   what works here, found out by trying
guarantees.py   what that holds, a line each; a required one that is not held is an ERROR
sight.py        which paths a process sees
cell.py         one process's policy, from the three above
bubblewrap.py   the same as a command line of bubblewrap
system_calls.py the seccomp filter
groups.py       control groups: memory and processes
shim.py         runs inside: drops the user, closes the doors, starts the command, reaps
start.py        environment variables, and folders that are a cell's own
watch.py        memory and disk where nothing limits them
deletion.py     deletes what a submission made, whatever it made
leftovers.py    deletes what judges left that were killed
"""
