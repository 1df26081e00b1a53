"""Seedstock grows base models."""
