"""Surface normals: against a closed form, weighted by area, and nothing where there is no surface."""

import torch

from geometry.mesh import vertex_normals


def test_a_tetrahedron_s_point_outwards():
    vertices = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    triangles = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    torch.testing.assert_close(vertex_normals(vertices, triangles), vertices / 3**0.5)
    both = vertex_normals(torch.stack([vertices, 7 * vertices]), triangles)  # leading dimensions; size doesn't matter
    torch.testing.assert_close(both[0], both[1])


def test_large_triangles_count_more():
    vertices = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 1]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])  # areas 4.5 in z, 1.5 in x
    expected = torch.nn.functional.normalize(torch.tensor([3.0, 0, 9]), dim=0)
    torch.testing.assert_close(vertex_normals(vertices, triangles)[0], expected)


def test_no_surface_has_no_normal():
    vertices = torch.rand(5, 3)
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2], [3, 3, 3]]))
    assert torch.equal(normals[3:], torch.zeros(2, 3))
    torch.testing.assert_close(normals[:3].norm(dim=-1), torch.ones(3))
