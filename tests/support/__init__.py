"""What tests share: solids, pictures, tiny projects, chains and servers on loopback."""
