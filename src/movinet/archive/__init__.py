"""Archives: a row for every video of many, on one machine or more, nothing lost and nothing twice."""
