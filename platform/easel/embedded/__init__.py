"""Everything on one machine: Postgres and Valkey from wheels, and the processes of `./run up`.

Knows no Django. Production names its own services in the environment and starts none of this.
"""
