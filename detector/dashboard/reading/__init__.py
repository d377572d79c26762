"""What a store holds, as the shapes that go over the wire: no HTTP, no user. Read beside the detector that writes it.

books      all of it as one value, for many threads
view       what is kept in memory of the store, and when it is read again
taping     the tape into columns, as far as they are not known
people     who has a row: lists, sorted and searched
entity     one entity: its signals, its line, the queries that mattered
mapping    its queries over the training data, in two dimensions
casing     cases, in the order in which they wait for somebody
levels     what is calibrated of each level, and by which model that is in force
health     how the detector and its sinks stand
cursors    where a list goes on
"""
