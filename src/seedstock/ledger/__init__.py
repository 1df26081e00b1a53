"""Ground floor: content ids, canonical records, durable files, hash chains, Merkle roots and the store by digest.

The ledger stores; it knows nothing of what it stores. Formats carry a version; nothing here is ever unpickled.
"""
