"""Many workers on Kafka with the results of one process: Faust shares out the partitions, nothing is detected here."""
