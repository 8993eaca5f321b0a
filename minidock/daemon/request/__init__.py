"""From what a client sent to what libcontainer gets.

`wire` has the shapes of a request, `parse` makes one `Request` of it: decoded (`unmarshal`), merged with the image (`merge`),
completed, and checked in docker's words (`validate` and what it asks: `texts`, `mounts`, `limits`, `security_opt`, `signals`).
Nothing changes what it is given. `spec` makes the container's `Config` of it at each start. Knows no container; imports `base`.
"""
