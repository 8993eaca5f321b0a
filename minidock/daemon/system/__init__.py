"""The verbs that look at the whole instance: `info`, `version`, `df`, and `teardown`, which takes all of it away. Imports every
other room."""
