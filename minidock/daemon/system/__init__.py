"""The verbs that look at the whole instance. Imports every other room."""
