"""Adaptation methods: how an arm is trained and put onto a generator."""
