"""A method of retort as a loss in PyTorch: `loss = Distill("pcd", temperature=4)(student_logits, teacher_logits, labels)`.

The gradient by the student's logits is retort's own; the teacher gets none.
"""

import retort
import torch


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, student, teacher, labels, method, settings):
        def array(tensor):
            return None if tensor is None else tensor.detach().cpu().numpy()

        result = retort.loss(method, array(student), array(teacher), array(labels), **settings)
        ctx.save_for_backward(torch.from_numpy(result.gradient).to(student))
        return student.new_tensor(result.value)

    @staticmethod
    def backward(ctx, gradient):
        (by_student,) = ctx.saved_tensors
        return gradient * by_student, None, None, None, None


class Distill(torch.nn.Module):
    """The distillation terms of a method; add the cross-entropy with the labels as you like."""

    def __init__(self, method, **settings):
        super().__init__()
        self.method, self.settings = method, settings

    def forward(self, student, teacher, labels=None):
        return _Loss.apply(student, teacher, labels, self.method, self.settings)


if __name__ == "__main__":
    torch.manual_seed(1)
    teacher = 3 * torch.randn(8, 10)
    student = torch.randn(8, 10, requires_grad=True)
    distill = Distill("pcd", temperature=4)
    for step in range(5):
        loss = distill(student, teacher)
        loss.backward()
        print(f"step {step}: {loss.item():.6f}")
        with torch.no_grad():
            student -= 10 * student.grad
            student.grad = None
